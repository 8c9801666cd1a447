from script_job import job, repository
from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import locate_file, sha256
from snakesteer.storage.files import read_json, write_tensors
from snakesteer.storage.provenance import provenance
from snakesteer.vectors.foreign import read_vector

with job(snakemake, "vectors"):
    settings = snakemake.params.settings
    (model,) = snakemake.input.model
    manifest = read_json(model)
    path = locate_file(settings["file"], repository(snakemake))
    if sha256(path) != settings["identity"]:
        raise StudyError(f"{path} has changed since the run started; run again.")
    vector, layers = read_vector(path, settings, manifest)
    lacking = sorted(set(range(manifest["n_layers"])) - set(layers))
    if lacking:
        print(f"{path} has no vector for the layers {lacking}, which are filled with zeros.")
    made = provenance(snakemake, manifest) | {"layers": layers}
    write_tensors(snakemake.output[0], {"vector": vector[None]}, made)
