"""Requests to a studio come in; out go its page, JSON, pictures and events.

``app`` lists the routes, ``security`` and ``limits`` say who may ask, and how much at once.
"""
