"""How a stack becomes a project of plain Docker Compose. Pure."""
