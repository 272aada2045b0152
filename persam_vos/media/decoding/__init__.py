"""Video files, addresses, cameras and animations come in. Frames go out: upright RGB at exact times, in any order."""
