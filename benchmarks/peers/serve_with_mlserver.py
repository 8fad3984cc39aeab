"""An MLServer runtime over a Booster; `mlserver start` finds it in the folder that holds model-settings.json."""

from pathlib import Path

import lightgbm as lgb
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class BoosterModel(MLModel):
    """Rows of codes in, predictions out."""

    async def load(self) -> bool:
        """Read the model once."""
        self.booster = lgb.Booster(model_file=str(Path(self.settings.parameters.uri) / "model.txt"))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predictions of the rows."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        predictions = self.booster.predict(rows)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("predictions", predictions.reshape(-1, 1))]
        )
