# ruff: noqa: INP001  a script, not a package
"""Update the report's chart library; first run `pip install vl-convert-python==1.9.0`.

vl-convert contains Vega, Vega-Lite and Vega-Embed, and bundles them offline. The result is in the
repository because users should not pay for bundling: 10 s, and a package of 90 MB.
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
    """Write the file with the licences at its head, so that every report includes them."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise SystemExit("the bundle contains text that would end its script element")
    head = HEAD + (FOLDER / "vega.LICENSES.txt").read_text(encoding="utf-8")
    # Its own scope hides the bundle's one-letter names from the page.
    text = f"/*\n{head}*/\n(()=>{{{bundle.strip()}}})();\n"
    (FOLDER / "vega.js").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
