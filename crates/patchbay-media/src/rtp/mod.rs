//! RTP (RFC 3550): units cut into payloads once for all viewers, and put together again.
