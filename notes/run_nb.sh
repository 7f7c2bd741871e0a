# run_nb.sh ROOT NOTEBOOK: format, execute, clean
cd $1; .venv/bin/python -m ruff format -q $2
PYTHONPATH=$1 OMP_WAIT_POLICY=PASSIVE .venv/bin/python -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False --ExecutePreprocessor.store_widget_state=False $2 2>&1 | grep -v "WARNING\|Converting" | tail -25
.venv/bin/python - $2 <<'PY'
import sys, nbformat
nb = nbformat.read(sys.argv[1], 4)
nb.metadata = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}, "language_info": {"name": "python"}, **{k: v for k, v in nb.metadata.items() if k == "course"}}
nbformat.write(nb, sys.argv[1])
PY
