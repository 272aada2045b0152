"""Results of a video become files of annotation tools: label maps and names of objects come in, lists of masks go out.

Each format has a file, and says where its layout is from.
"""
