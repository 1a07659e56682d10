"""One scene a file: ``build(kit)`` models it into an empty Blender file."""

NAMES = (
    "greenhouse",
    "container_yard",
    "amphitheatre",
    "suspension_bridge",
    "library",
    "fairground",
    "vineyard",
    "swimming_hall",
)
