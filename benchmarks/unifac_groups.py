"""Groups of modified UNIFAC (Dortmund) of the molecules of Brouwer et al. 2021, as the page jirasek2020 reads them.

    pip install thermo rdkit
    python benchmarks/unifac_groups.py brouwer_2021_ln_gamma_inf.csv src/nelbo/papers/unifac_groups.json

A molecule's groups are those that the Dortmund Data Bank's free service assigns to it, which thermo has by
InChIKey; where it has none, thermo's SMARTS patterns cut the molecule. Cuts that leave an atom over are dropped.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import rdkit
import thermo
from rdkit import Chem, RDLogger
from thermo.group_contribution.group_contribution_base import smarts_fragment_priority
from thermo.unifac import DOUFSG, DDBST_MODIFIED_UNIFAC_assignments, load_group_assignments_DDBST


def by_patterns(molecule: Any) -> dict[int, int] | None:
    """The groups that thermo's patterns cut a molecule into; None where atoms are left over."""
    catalog = [group for group in DOUFSG.values() if group.smarts]
    try:
        found, _, success, status = smarts_fragment_priority(catalog, rdkitmol=molecule)[:4]
    except (ValueError, KeyError, TypeError):
        return None
    del status
    return {int(group): int(count) for group, count in found.items()} if success else None


def main(source: str, target: str) -> None:
    """Write the table."""
    RDLogger.DisableLog("rdApp.*")
    load_group_assignments_DDBST()
    with Path(source).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    every = sorted({row[side] for row in rows for side in ("Solute_SMILES", "Solvent_SMILES")} - {""})
    groups: dict[str, dict[int, int]] = {}
    origins = {"assigned": 0, "patterns": 0, "none": 0}
    for smiles in every:
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None:
            origins["none"] += 1
            continue
        known = DDBST_MODIFIED_UNIFAC_assignments.get(Chem.MolToInchiKey(molecule))
        found = known or by_patterns(molecule)
        origins["assigned" if known else "patterns" if found else "none"] += 1
        if found:
            groups[smiles] = {int(group): int(count) for group, count in found.items()}
    about = {
        "what": "subgroups of modified UNIFAC (Dortmund): number of the subgroup -> how many, by SMILES",
        "made by": "benchmarks/unifac_groups.py",
        "with": f"thermo {thermo.__version__} (MIT), rdkit {rdkit.__version__}",
        "molecules": origins,
    }
    Path(target).write_text(json.dumps({"about": about, "groups": groups}, indent=0, sort_keys=True) + "\n")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
