"""A page as a browser reads it, without one."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The texts of a page, its tags, hints of elements, and what it loads or runs.

    The end of a tag has to match its start.
    """

    EMPTY = ("meta", "br", "img")

    def __init__(self, source):
        super().__init__()
        self.tags, self.loads, self.texts, self._open = [], [], [], []
        self.hints, self.images, self.alts = [], [], []
        self.feed(source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "src" and value.startswith("data:image/png;base64,"):
                self.images.append(value)
            elif name in ("src", "href", "srcset", "action") or name.startswith("on"):
                self.loads.append((tag, name, value))
            if name == "alt":
                self.alts.append(value)
            if name == "title":
                self.hints.append(value)
            if name == "style":
                assert value.startswith(("width:", "background:#"))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not self._open or self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return "\n".join(self.texts)

    def check_harmless(self):
        """Nothing is loaded, nothing runs."""
        assert not self.loads
        assert not {"script", "iframe", "link", "object", "form"} & {*self.tags}
