from dataclasses import fields

from script_job import job
from snakesteer.reports.front_page import page
from snakesteer.reports.gathered import Files, front
from snakesteer.storage.files import read_json, write_text

with job(snakemake):
    asked = read_json(snakemake.params.listed)["front_page"]
    files = Files(**{one.name: snakemake.input.get(one.name, ()) for one in fields(Files)})
    made = front(asked, files, snakemake.params.captions, snakemake.params.notes)
    write_text(snakemake.output[0], page(made))
