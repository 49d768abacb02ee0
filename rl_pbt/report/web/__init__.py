"""`report.html`, and `comparison.html` of several runs: each is one file that needs nothing else, not even a network.

`document` fills `page.html`, and `several` fills `several.html`, with text, tables and Bokeh figures. `charts`, `schedules` and
`tree` make these in the style of `figures`; `embedding` turns them into text, the same each time. `rendering` puts all of it into
one file, with `page.css` and `page.js`.
"""

from rl_pbt.report.web.document import document_of
from rl_pbt.report.web.several import comparison_of

__all__ = ["comparison_of", "document_of"]
