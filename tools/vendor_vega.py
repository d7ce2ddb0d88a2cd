# ruff: noqa: INP001  a script, not a package
"""Renew the chart library that the report carries: `pip install vl-convert-python==1.9.0` first.

vl-convert holds Vega, Vega-Lite and Vega-Embed, and bundles them offline. The result is kept in
the repository because bundling takes 10 s and the package 90 MB: neither is for users to pay.
"""

from __future__ import annotations

from pathlib import Path

import vl_convert

FOLDER = Path(__file__).parent.parent / "connector" / "report" / "static"
VEGA_LITE = "6.4"

HEAD = f"""\
Vega {vl_convert.get_vega_version()}, Vega-Lite {VEGA_LITE} and Vega-Embed \
{vl_convert.get_vega_embed_version()}, which make `vegaEmbed` known.
Made by tools/vendor_vega.py from the packages in vl-convert-python {vl_convert.__version__}; \
not to be edited.

"""


def main() -> None:
    """Write the file, its licences at its head: so each report carries them along."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise SystemExit("the bundle holds what would end its script element")
    head = HEAD + (FOLDER / "vega.LICENSES.txt").read_text(encoding="utf-8")
    # A scope of its own: the bundle's one-letter names are not for the page to see.
    text = f"/*\n{head}*/\n(()=>{{{bundle.strip()}}})();\n"
    (FOLDER / "vega.js").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
