"""Keyframes on any frames go in; out come the masks of all frames, walked through forwards and backwards, and fused.

``stretches`` plans the walk, ``propagation`` walks, ``found_store`` keeps what is found, ``fusion`` joins both ways.
"""
