//! MCP servers: mcpd's slice of a generation, and a unit for each server that speaks HTTP.

mod render;

pub use render::McpServers;
