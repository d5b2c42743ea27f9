"""The jobs of a multirun side by side, as a table."""

from localize.evaluate.tables import medians, text_table


def comparison(jobs: list[tuple[list[str], dict]]) -> str:
    """One row per job of a multirun: the settings in which they differ, and what came out."""
    common = set.intersection(*(set(settings) for settings, _ in jobs))
    found = [_columns(results) for _, results in jobs]
    header = list(dict.fromkeys(name for columns in found for name in columns))
    rows = [
        [" ".join(s for s in settings if s not in common), *(columns.get(name, "-") for name in header)]
        for (settings, _), columns in zip(jobs, found, strict=True)
    ]
    return text_table(["settings", *header], rows)


def _columns(found: dict) -> dict[str, str]:
    """What of a results.json is worth a column: what it says itself, or else recall and medians of all queries."""
    if "compared" in found:
        return found["compared"]
    of_all = found["conditions"].get("all", {})
    middle = medians(of_all["median_m"], of_all["median_deg"], found["unit"]) if of_all else {}
    per_query = sum(s for s in found["seconds_per_query"].values() if s is not None)
    return {
        **{bounds: f"{100 * share:.1f} %" for bounds, share in of_all.get("recall", {}).items()},
        **middle,
        "localized": f"{found['num_localized']} of {found['num_queries']}",
        "s per query": f"{per_query:.2f}",
    }
