"""Managed volumes: what is known of them, and every decision about them that needs no kernel. Pure."""
