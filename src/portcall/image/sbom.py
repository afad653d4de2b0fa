"""The software bill of materials of an image: CycloneDX 1.6, as JSON. The same image gives the same bytes."""

import uuid
from typing import Any

from portcall._version import __version__
from portcall.image.inspecting import Inside, PackageInside

SPACE = uuid.UUID("5e3b1f0a-0c83-5a4e-9d36-6f7274636c6c")


def sbom(inside: Inside) -> dict[str, Any]:
    """Return the bill of one platform of an image."""
    subject = (
        f"pkg:oci/{inside.image.rpartition('/')[2].partition(':')[0].partition('@')[0] or 'image'}@{inside.digest}"
    )
    components = [*_platform(inside), *(_library(package) for package in inside.packages)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, inside.digest)}",
        "version": 1,
        "metadata": {
            **({"timestamp": inside.created} if inside.created else {}),
            "tools": {"components": [{"type": "application", "name": "portcall", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": inside.digest,
                "name": inside.facts.get("title") or inside.image,
                "version": inside.facts.get("version") or inside.digest,
                "purl": subject.replace("sha256:", "sha256%3A"),
            },
        },
        "components": components,
        "dependencies": [{"ref": inside.digest, "dependsOn": sorted(one["bom-ref"] for one in components)}],
    }


def _platform(inside: Inside) -> list[dict[str, Any]]:
    found = []
    if python := inside.facts.get("python"):
        found.append({"type": "platform", "bom-ref": f"python@{python}", "name": "CPython", "version": python})
    if base := inside.facts.get("base digest"):
        name = inside.facts.get("base") or "base image"
        found.append({"type": "container", "bom-ref": base, "name": name, "version": base})
    return found


def _library(package: PackageInside) -> dict[str, Any]:
    purl = f"pkg:pypi/{package.name}@{package.version}"
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
    }
    if package.licence:
        made["licenses"] = [{"expression": package.licence}]
    return made
