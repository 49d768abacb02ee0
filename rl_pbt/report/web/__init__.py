"""`report.html`: the whole report as one file that needs nothing else, not even a network.

`document` fills `page.html` with what `tables` says and with figures of Bokeh, which `charts`, `schedules` and `tree` make in the
looks of `figures`; `embedding` turns them into the same text each time. `page.css` and `page.js` are put into the file.
"""

from rl_pbt.report.web.document import document_of

__all__ = ["document_of"]
