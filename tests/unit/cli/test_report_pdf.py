"""The statement as a PDF: made of its page, with nothing fetched, or words that say what to install."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import Thread

import pytest

from crossmargin_cli.failures import CommandError
from crossmargin_cli.report_page import statement_page
from crossmargin_cli.report_pdf import check_can_write_pdf, write_pdf
from tests.unit.cli.test_report_page import a_statement


class Unloadable(MetaPathFinder, Loader):
    """Finds a WeasyPrint on a system without the library that it sets text with."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == "weasyprint" else None

    def exec_module(self, module):
        raise OSError("cannot load library 'libpango-1.0-0': libpango-1.0-0: cannot open shared object file")


def test_without_the_extra_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(CommandError, match="WeasyPrint, which is not installed") as refused:
        check_can_write_pdf()
    assert refused.value.next_step == "pip install 'crossmargin[pdf]'"


def test_without_pango_the_command_names_the_packages_of_the_system(monkeypatch):
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Unloadable(), *sys.meta_path])
    with pytest.raises(CommandError, match="needs Pango, which this system lacks") as refused:
        check_can_write_pdf()
    assert "'libpango-1.0-0')" in refused.value.message
    assert "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0" in refused.value.next_step


def written_or_refused(page, file):
    """Write a PDF; return False where the system lacks Pango, which is then said."""
    try:
        write_pdf(page, file)
    except CommandError as refused:
        return "Pango" not in refused.message or file.exists()
    return True


def test_a_statement_becomes_a_pdf_where_the_system_has_what_it_takes(tmp_path):
    file = tmp_path / "alpha.pdf"
    if written_or_refused(statement_page(a_statement()), file):
        assert file.read_bytes().startswith(b"%PDF-")
        assert file.stat().st_size > 10_000, "its text and its drawings"


def test_nothing_is_fetched_even_if_a_page_named_something(tmp_path):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        page = f"<p>page<img src='{there}/picture'><link rel='stylesheet' href='{there}/style'></p>"
        written_or_refused(page, tmp_path / "page.pdf")
        server.shutdown()
    assert asked == []
