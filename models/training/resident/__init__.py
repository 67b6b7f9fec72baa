"""ResIdent: a small detector of identity-mapping residual blocks with an identity embedding per box."""
