-- What rests in the queue until an operator says so: counted and listed without reading what waits.
CREATE INDEX queue_recipient_resting ON queue_recipient (state, message_id) WHERE state IN ('held', 'parked');
