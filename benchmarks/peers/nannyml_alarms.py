"""NannyML's own drift alarms on windows of rows: python nannyml_alarms.py FILE ROWS. Stands alone.

FILE: Parquet with a column `part` ("reference" or "analysis"); windows of ROWS rows follow each other. Prints JSON:
`alerts`: for each window of the analysis, the columns that alarm by Jensen-Shannon's distance at the defaults.
"""

import json
import os
import sys
import time

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas


def main() -> None:
    rows = pandas.read_parquet(sys.argv[1])
    names = [name for name in rows.columns if name != "part"]
    cpu, wall = time.process_time(), time.perf_counter()
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=int(sys.argv[2]))
    calculator.fit(rows[rows["part"] == "reference"][names].reset_index(drop=True))
    found = calculator.calculate(rows[rows["part"] == "analysis"][names].reset_index(drop=True))
    table = found.filter(period="analysis").to_df()
    alerts = [
        [name for name in names if bool(table[(name, "jensen_shannon", "alert")].iloc[window])]
        for window in range(len(table))
    ]
    print(json.dumps({
        "alerts": alerts, "version": nannyml.__version__,
        "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
