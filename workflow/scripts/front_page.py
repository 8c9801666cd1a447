from pathlib import Path

import pandas as pd

from script_job import job
from snakesteer.figures.inputs import NothingToDraw, read_inputs
from snakesteer.figures.style import label
from snakesteer.reports import effect_findings, front_page
from snakesteer.reports.findings import Measured, findings, points_of
from snakesteer.storage.files import read_json, read_table, read_tensors, write_text

with job(snakemake):
    asked = read_json(snakemake.params.listed)["front_page"]
    given = {role: snakemake.input.get(role, []) for role in ("figures", "samples", "scorecards")}
    tables = {Path(path).stem: path for path in snakemake.input.get("tables", [])}

    measured = []
    by_vector = []
    for entry in asked["tables"]:
        inputs = read_inputs([tables[entry["name"]]], {})
        if not entry["published"]:
            by_vector += [table for table in inputs.tables if {"vector", "layer"} <= set(table)]
        for column, title in entry["columns"].items():
            try:
                points = points_of(inputs, entry["name"], column)
            except NothingToDraw:  # of what is published, all of it may be missing
                continue
            about = Measured(
                entry["name"],
                title,
                points,
                entry["own"],
                asked["labels"],
                entry["relative"],
                entry["distance"],
            )
            measured.append((entry, column, about))
    controls = dict(asked["controls"])
    steered = {entry["name"]: about.points["vector"].iloc[0] for entry, _, about in measured}
    for control, of in asked["control_tables"].items():
        if control in steered and of in steered:
            controls.setdefault(steered[control], steered[of])
    found = []
    for entry, column, about in measured:
        alike = [
            each.points
            for there, of, each in measured
            if of == column and there["name"] in entry["controls_in"] and each is not about
        ]
        others = pd.concat([about.points, *alike])
        own = list(findings(about, controls, others))
        from_validation = entry["split"] == "validation"
        found.append(
            front_page.Found(
                entry["name"],
                entry["title"] or label(entry["name"].replace(".", ": "), {}),
                about.title,
                own,
                from_validation,
            )
        )

    effects = []
    for path in snakemake.input.get("slopes", []):
        name = Path(path).name.split(".")[0]
        said = list(effect_findings.of_slopes(read_table(path).to_pandas(), asked["labels"]))
        title = f"{label(name, {})}: single questions"
        effects.append(front_page.Effects(f"{name}.slopes", title, said))
    for path in snakemake.input.get("controls", []):
        name = Path(path).name.split(".")[0]
        held = read_table(path).to_pandas()
        said = list(effect_findings.of_controls(held, asked["effects"][name], asked["labels"]))
        title = f"{label(name, {})}: against controls"
        effects.append(front_page.Effects(f"{name}.control", title, said))

    chosen: dict[str, str] = {}
    choices = {}
    for name, path in asked["choices"].items():
        choice = read_json(path)
        chosen |= front_page.chosen_in(choice)
        choices[name] = front_page.choice_said(choice)
    vectors = {
        name: read_tensors(path)["vector"]
        for name, path in zip(asked["vectors"], snakemake.input.get("vectors", []), strict=True)
    }
    layers = front_page.injected_layers(by_vector)
    texts = []
    for path in given["samples"]:
        texts.append(front_page.samples_texts(Path(path).stem, read_table(path).to_pandas()))
    for name in asked["texts"]:
        written = read_table(tables[name]).to_pandas()
        texts += front_page.written_texts(name, written, asked["labels"])
    pictures = front_page.read_pictures(given["figures"])
    captions = snakemake.params.captions
    front = front_page.FrontPage(
        asked=asked,
        found=found,
        figures=[
            front_page.Shown(name, captions[name], pictures[name]) for name in asked["figures"]
        ],
        effects=effects,
        vectors=front_page.vector_rows(
            vectors, asked["vectors"], asked["models_of"], layers, chosen
        ),
        choices=choices,
        texts=texts,
        verdicts=[
            front_page.verdict(name, title or label(name, {}), read_table(path).to_pandas())
            for (name, title), path in zip(
                asked["scorecards"].items(), given["scorecards"], strict=True
            )
        ],
        notes=snakemake.params.notes,
        cost=front_page.cost(pd.read_csv(snakemake.input.usage)),
    )
    write_text(snakemake.output[0], front_page.page(front))
