"""The operators' listener as one ASGI application: the API behind its door, health and metrics beside it."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from distribution.transport.operators.access import Door
from distribution.transport.operators.agents import agent_routes
from distribution.transport.operators.answers import on_http_error
from distribution.transport.operators.assignments import assignment_routes
from distribution.transport.operators.channels import channel_routes
from distribution.transport.operators.config_status import config_status_routes
from distribution.transport.operators.configurations import configuration_routes
from distribution.transport.operators.connections import connection_routes
from distribution.transport.operators.credentials import credential_routes
from distribution.transport.operators.grants import grant_routes
from distribution.transport.operators.health import health_routes
from distribution.transport.operators.metrics import FleetCollector, Requests
from distribution.transport.operators.openapi import openapi_route
from distribution.transport.operators.people import people_routes
from distribution.transport.operators.records import record_routes
from distribution.transport.operators.releases import release_routes
from distribution.transport.operators.services import OperatorServices
from distribution.transport.operators.streaming import Gate
from distribution.transport.operators.tokens import token_routes
from distribution.transport.operators.uploads import upload_routes
from distribution.transport.operators.watching import watching_routes


def operators_app(services: OperatorServices) -> Starlette:
    """Build the application; its metrics join the registry of `services`."""
    door = Door(services, Requests(services.metrics))
    services.metrics.register(FleetCollector(services.database, services.catalogues, services.clock))
    routes = [
        *health_routes(services),
        *token_routes(door),
        *agent_routes(door),
        *watching_routes(door),
        *grant_routes(door),
        *credential_routes(door),
        *channel_routes(door),
        *connection_routes(door),
        *configuration_routes(door),
        *assignment_routes(door),
        *config_status_routes(door),
        *release_routes(door),
        *upload_routes(door, Gate(services.limits.uploads_at_once, "uploads")),
        *record_routes(door),
        *people_routes(door),
    ]
    routes.append(openapi_route(door, routes))
    return Starlette(routes=routes, exception_handlers={HTTPException: on_http_error})
