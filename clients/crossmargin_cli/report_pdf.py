"""The statement of a client as a PDF, made of its page (extra `pdf`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from crossmargin_cli.failures import CommandError

_LIBRARIES: Final = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, on macOS: brew install pango"


def check_can_write_pdf() -> None:
    """Refuse before anything is read when no PDF can be made here.

    Raises:
        CommandError: WeasyPrint, or the library of the system that sets its text, is not installed.
    """
    _weasyprint()


def write_pdf(page: str, file: Path) -> None:
    """Write a page to a file as PDF, as a browser would print it. Nothing is fetched, whatever the page names."""
    weasyprint = _weasyprint()
    nothing = weasyprint.urls.URLFetcher(allowed_protocols=())
    weasyprint.HTML(string=page, url_fetcher=nothing).write_pdf(file)


def _weasyprint() -> Any:  # noqa: ANN401 - it has no types
    try:
        import weasyprint  # noqa: PLC0415 - an extra: most commands must do without it
    except ImportError:
        raise CommandError("a PDF needs WeasyPrint, which is not installed", next_step="pip install 'crossmargin[pdf]'") from None
    except OSError as error:
        missing = str(error).partition(":")[0]
        raise CommandError(f"a PDF needs Pango, which this system lacks ({missing})", next_step=_LIBRARIES) from None
    return weasyprint
