//! TLS for listeners: certificates that are read again when they change, renewed ones of a local authority, and an accept that is bounded in time.
