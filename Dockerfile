# The server and the agent from the lock, and a stage that runs the tests against the installed wheel.
#
#   docker build --target server -t quartermaster .
#   docker build --target agent -t quartermaster-agent .
#   docker build --target test -t quartermaster-test . && docker run --rm quartermaster-test
#
# Every place is an argument, because a test runs these same steps without an image builder.
ARG BUILD=/build
ARG PREFIX=/opt/quartermaster
ARG DATA=/var/lib/quartermaster

# ---- uv and the builder of the wheel, out of the lock and under its hashes
FROM python:3.13-slim-trixie AS tools
ARG BUILD
WORKDIR ${BUILD}
COPY .ci/cut_lock.py .ci/
COPY pyproject.toml requirements.lock ./
RUN python .ci/cut_lock.py --whole uv hatchling <requirements.lock >tools.txt \
    && python -m venv tools \
    && tools/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tools.txt

# ---- the wheel
FROM tools AS wheel
ARG BUILD
WORKDIR ${BUILD}
COPY README.md LICENSE ./
COPY distribution distribution
COPY keys keys
COPY storage storage
COPY proto proto
RUN tools/bin/hatchling build -t wheel -d wheels

# ---- what the agent needs: the wheel and what it requires
FROM wheel AS agent-files
ARG BUILD
ARG PREFIX
WORKDIR ${BUILD}
RUN python .ci/cut_lock.py --whole --project <requirements.lock >agent.txt \
    && python -m venv --without-pip "${PREFIX}" \
    && tools/bin/uv --no-config pip install --quiet --python "${PREFIX}/bin/python" --require-hashes -r agent.txt \
    && tools/bin/uv --no-config pip install --quiet --python "${PREFIX}/bin/python" --no-deps --no-index wheels/*.whl

# ---- what the server needs: the extra as well
FROM wheel AS server-files
ARG BUILD
ARG PREFIX
WORKDIR ${BUILD}
RUN python .ci/cut_lock.py --whole --project --extra server <requirements.lock >server.txt \
    && python -m venv --without-pip "${PREFIX}" \
    && tools/bin/uv --no-config pip install --quiet --python "${PREFIX}/bin/python" --require-hashes -r server.txt \
    && tools/bin/uv --no-config pip install --quiet --python "${PREFIX}/bin/python" --no-deps --no-index wheels/*.whl

# ---- the tests against the installed wheel: of the checkout, only tests/ is here
FROM server-files AS test-files
ARG BUILD
ARG PREFIX
WORKDIR ${BUILD}
RUN tools/bin/uv --no-config pip install --quiet --python "${PREFIX}/bin/python" --require-hashes -r requirements.lock

FROM python:3.13-slim-trixie AS test
ARG PREFIX
ARG DATA
COPY --from=test-files ${PREFIX} ${PREFIX}
ENV PATH=${PREFIX}/bin:${PATH}
WORKDIR ${DATA}
COPY tests tests
RUN chown 10001:10001 "${DATA}"
USER 10001:10001
ENV HOME=${DATA}
CMD ["python", "-m", "pytest", "-c", "tests/installed.ini", "--rootdir", ".", "-n", "2", \
     "--dist", "worksteal", "-q", \
     "tests/unit", "tests/contract", "tests/flows", "tests/attacks"]

# ---- the agent
FROM python:3.13-slim-trixie AS agent
ARG PREFIX
ARG DATA
COPY --from=agent-files ${PREFIX} ${PREFIX}
ENV PATH=${PREFIX}/bin:${PATH}
WORKDIR ${DATA}
RUN chown 10001:10001 "${DATA}" && chmod 0700 "${DATA}"
USER 10001:10001
ENV HOME=${DATA}
VOLUME ["/var/lib/quartermaster"]
ENTRYPOINT ["quartermaster-agent"]
CMD ["run", "--dir", "."]

# ---- the server
FROM python:3.13-slim-trixie AS server
ARG PREFIX
ARG DATA
COPY --from=server-files ${PREFIX} ${PREFIX}
ENV PATH=${PREFIX}/bin:${PATH}
WORKDIR ${DATA}
RUN chown 10001:10001 "${DATA}" && chmod 0700 "${DATA}"
USER 10001:10001
ENV HOME=${DATA}
VOLUME ["/var/lib/quartermaster"]
EXPOSE 4320 4321 4322
ENTRYPOINT ["quartermaster"]
CMD ["serve", "--settings", "server.toml"]
