"""The report of a run: its pictures, its tracks and its record come in; one HTML file goes out that needs no network.

Pictures are collected while the run goes on; the page is made at its end.
"""

from persam_vos.exports.report.davis_page import write_davis_report
from persam_vos.exports.report.looks import frames_to_look_at
from persam_vos.exports.report.page import Look, write_report
from persam_vos.exports.report.pictures import ReportWriter
from persam_vos.exports.report.series import ObjectSeries, read_series

__all__ = [
    "Look",
    "ObjectSeries",
    "ReportWriter",
    "frames_to_look_at",
    "read_series",
    "write_davis_report",
    "write_report",
]
