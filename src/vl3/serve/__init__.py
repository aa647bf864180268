"""The server: OpenAI's API over the engine, and a page. Needs the extra `serve`."""
