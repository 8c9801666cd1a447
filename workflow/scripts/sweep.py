import pyarrow as pa

from script_job import job
from snakesteer.core import plugins, records
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import tokens_per_batch
from snakesteer.jobs.model import job_points, load_job_model, load_job_tokenizer
from snakesteer.jobs.usage import write_usage
from snakesteer.jobs.vectors import job_vectors
from snakesteer.storage.files import read_json, read_table, write_table
from snakesteer.storage.provenance import provenance
from snakesteer.sweeps import runner
from snakesteer.sweeps.injections import steerings
from snakesteer.sweeps.job import SweepJob
from snakesteer.sweeps.resampled import again, joined

with job(snakemake, "sweeps"):
    sweep = records.read(SweepJob, snakemake.params.settings)
    measure = plugins.load("measures", sweep.measure)
    settings = records.read(measure.Settings, sweep.asked)
    manifest = read_json(snakemake.input.model[0])
    choice = read_json(snakemake.input.choice[0]) if "choice" in snakemake.input.keys() else None
    steered = [
        steering
        for vectors in job_vectors(snakemake.input.vectors, sweep, manifest)
        for steering in steerings(sweep, vectors, choice)
    ]
    tokenizer = load_job_tokenizer(snakemake, manifest, sweep.asked.get("max_tokens"))
    samples = measure.samples(tokenizer, sweep.sources, snakemake.input, settings, sweep.bos)
    precision, stopping = sweep.precision, settings.stopping
    if "base" in snakemake.input.keys():
        base = read_table(snakemake.input.base[0])
        steered, samples = again(measure, steered, samples, base)
        precision = stopping = None
    model = load_job_model(snakemake, manifest)
    sequences = [ids for read in samples.values() for ids in read.sequences]
    batch_tokens = tokens_per_batch(model, sequences, sweep.batch_tokens)
    points, progress = job_points(snakemake, model, batch_tokens), Progress()
    tables = runner.run(
        model,
        measure,
        steered,
        samples,
        batch_tokens=batch_tokens,
        read_on=sweep.read_on,
        precision=precision,
        stopping=stopping,
        path=sweep.path,
        kept_bytes=sweep.kept_gb * 1e9,
        points=points,
        progress=progress,
    )
    write_table(
        snakemake.output[0],
        joined(tables, sweep.resamples) if sweep.resamples else pa.concat_tables(tables),
        provenance(snakemake, manifest, model.device.type) | {"points": points.name},
    )
    write_usage(snakemake.log[0], model.device, progress)
