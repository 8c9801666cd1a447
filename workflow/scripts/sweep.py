from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from script_job import job
from snakesteer.core import records
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.jobs.measures import first_texts, job_measures
from snakesteer.jobs.model import job_points, load_job_model, load_job_tokenizer
from snakesteer.jobs.usage import write_usage
from snakesteer.jobs.vectors import job_vectors
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance, read_positions
from snakesteer.sweeps import runner
from snakesteer.sweeps.chosen import taken
from snakesteer.sweeps.injections import steerings
from snakesteer.sweeps.job import SweepJob
from snakesteer.sweeps.resampled import again, joined

with job(snakemake, "sweeps"):
    sweep = records.read(SweepJob, snakemake.params.settings)
    codes = snakemake.params.codes
    manifest = read_json(snakemake.input.model[0])
    choice = read_json(snakemake.input.choice[0]) if "choice" in snakemake.input.keys() else None
    paths = dict(zip(sweep.vectors, snakemake.input.vectors, strict=True))
    if sweep.choices:
        chosen = dict(zip(sweep.choices, map(read_json, snakemake.input.candidates), strict=True))
        sweep = replace(sweep, injections=taken(sweep.injections, chosen))
    injected = [paths[name] for name in sweep.vectors]
    positions = read_positions(sweep.vectors, injected)
    steered = [
        steering
        for vectors in job_vectors(injected, sweep, manifest)
        for steering in steerings(sweep, vectors, choice, sweep.codes(codes), positions)
    ]
    longest = max((measured.max_tokens or 0 for measured in sweep.measures), default=0)
    tokenizer = load_job_tokenizer(snakemake, manifest, longest)
    measures = list(job_measures(snakemake, sweep, tokenizer, codes))
    shown = first_texts(tokenizer, sweep, measures)
    if "base" in snakemake.input.keys():
        measures, steered = again(measures, steered, read_table(snakemake.input.base[0]))
    model = load_job_model(snakemake, manifest, sweep)
    sequences: list[Sequence[int]] = []
    for measure in measures:
        for samples in measure.samples.values():
            sequences += samples.sequences
    batch_tokens = tokens_per_batch(model, sequences, sweep.batch_tokens)
    points = job_points(snakemake, model, sweep, batch_tokens, codes["script"])
    progress = Progress()
    tables = runner.run(
        model,
        measures,
        steered,
        batch_tokens=batch_tokens,
        path=sweep.path,
        kept_bytes=sweep.kept_gb * 1e9,
        points=points,
        progress=progress,
    )
    write_table(
        snakemake.output[0],
        joined(tables, sweep.resamples) if sweep.resamples else pa.concat_tables(tables),
        provenance(snakemake, manifest, model.device.type) | {"points": points.name, **shown},
    )
    write_usage(snakemake.log[0], model.device, progress)
