"""What a worker sees of the chief's oracle: Keras Tuner's client, for chiefs that are killed and come back."""

import json
import os
import time

import grpc
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src import protos  # not public
from keras_tuner.src.distribute import oracle_client  # not public

# A call that the chief's end interrupts is made again when it is back.
_RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "1s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class Client(oracle_client.OracleClient):
    """Waits for a chief that is away `wait` seconds, and for a trial as long as there may come one."""

    def __init__(self, client, store, wait):
        super().__init__(client._oracle)
        self.store = store
        oracle_client.TIMEOUT = wait
        address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
        channel = grpc.insecure_channel(address, options=[("grpc.service_config", json.dumps(_RETRY))])
        self.stub = protos.get_service_grpc().OracleStub(channel)

    def create_trial(self, tuner_id):
        """Return the next trial; while there is none but may be, ask again every second."""
        while True:
            try:
                trial = super().create_trial(tuner_id)
            except grpc.RpcError:
                if self.store.done(self.max_trials):  # and the chief has gone
                    return Trial(self._oracle.get_space(), status=TrialStatus.STOPPED)
                raise
            if trial.status != TrialStatus.IDLE:
                return trial
            time.sleep(1)
