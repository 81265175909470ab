"""The conduit: eigenpairs of tiny symmetric matrices together with a record of how the solver got there."""

from .api import conduit, conduit_from_svd
from .packet import ConduitPacket, canonical_signs

__all__ = ["ConduitPacket", "canonical_signs", "conduit", "conduit_from_svd"]
