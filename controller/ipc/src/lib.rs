//! JSON over HTTP on Unix sockets: server harness, client, peer credentials, errors, limits.
