-- Those that ended long ago are taken away, the oldest first.
CREATE INDEX operations_finished ON operations (finished_at) WHERE finished_at IS NOT NULL;
