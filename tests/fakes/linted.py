"""pkilint, in process: what an independent linter says of a certificate."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity

_UNKNOWN_SCHEMES = "pkix.invalid_uri_syntax"


def findings(subject: x509.Certificate) -> list[str]:
    """Return what it finds worth a notice or more, less that it does not know the scheme `spiffe`."""
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    document = loader.load_certificate(subject.public_bytes(Encoding.DER), "certificate")
    found = []
    for result in validator.validate(document.root):
        for finding in result.finding_descriptions:
            code, text = finding.finding.code, str(finding.message)
            if code == _UNKNOWN_SCHEMES and str(result.node.pdu).startswith("spiffe://"):
                continue
            if finding.finding.severity <= ValidationFindingSeverity.NOTICE:
                found.append(f"{code} {text}")
    return found
