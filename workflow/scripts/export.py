from pathlib import Path

from script_job import job, repository
from snakesteer.exports.export import export
from snakesteer.exports.use import Use
from snakesteer.hub.model_folder import model_folder
from snakesteer.storage.files import read_json
from snakesteer.vectors.steering_vector import read_vector

with job(snakemake, "exports"):
    settings = snakemake.params.settings
    (manifest,), (vector,) = snakemake.input.model, snakemake.input.vector
    recorded, position = read_json(manifest), settings["position"]
    notes = export(
        read_vector(vector, position=position),
        settings["format"],
        Path(snakemake.output.file),
        use=Use(settings["operator"], settings["coefficient"], settings["positions"]),
        layers=settings["layers"],
        site=settings["site"],
        folder=model_folder(recorded, repository(snakemake), manifest),
        chosen=None if position is None else {"position": position},
    )
    for note in notes:
        print(note)
