"""`report.html`: the whole report as one file that needs nothing else, not even a network.

`document` fills `page.html` with the text of `tables` and with Bokeh figures. `charts`, `schedules` and `tree` make these in the
style of `figures`; `embedding` turns them into text, the same each time. `page.css` and `page.js` are put into the file.
"""

from rl_pbt.report.web.document import document_of

__all__ = ["document_of"]
