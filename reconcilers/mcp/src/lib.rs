//! MCP servers: rendering of mcpd's slice.
