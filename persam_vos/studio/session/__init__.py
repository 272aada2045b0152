"""A folder and a video go in; out comes the session that pages and scripts share, saved after each change."""
