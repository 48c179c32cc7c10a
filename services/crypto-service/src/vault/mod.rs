//! The client protocol of Vault's Transit engine, in the words of this service's own calls.
