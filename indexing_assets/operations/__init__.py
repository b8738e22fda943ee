"""Operations on a whole index: the pipeline, the doctor, migration."""
