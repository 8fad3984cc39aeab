"""MLflow's "model from code": the features computed in pandas, then LightGBM."""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class DerivedModel(PythonModel):
    """What `mlflow models serve` asks."""

    def load_context(self, context: Any) -> None:
        """Read the model once."""
        from serving_features import Derived

        self.derived = Derived(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        """Predictions of raw rows."""
        return self.derived.predict(model_input)


set_model(DerivedModel())
