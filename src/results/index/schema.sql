CREATE TABLE record (
    path TEXT PRIMARY KEY,
    stamp TEXT NOT NULL,
    size INTEGER NOT NULL,
    digest TEXT NOT NULL,
    is_copy INTEGER NOT NULL,
    unreadable TEXT,
    run TEXT,
    case_name TEXT,
    position INTEGER,
    repeat INTEGER,
    repeats INTEGER,
    image TEXT,
    seal TEXT,
    lock TEXT,
    recipe TEXT,
    profile TEXT,
    status TEXT,
    reason TEXT,
    deviations INTEGER,
    parsed INTEGER,
    engine TEXT,
    host TEXT,
    start TEXT,
    duration_seconds REAL,
    final_result REAL,
    final_result_unit TEXT,
    throughput REAL,
    throughput_unit TEXT
) WITHOUT ROWID;
CREATE INDEX record_of_case ON record (run, case_name, repeat);
CREATE TABLE metric (
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    unit TEXT NOT NULL,
    PRIMARY KEY (path, name)
) WITHOUT ROWID;
CREATE VIEW result AS
    SELECT run, case_name, position, repeat, repeats, image, seal, lock, recipe, profile, status, reason,
           deviations, parsed, engine, host, start, duration_seconds, final_result, final_result_unit,
           throughput, throughput_unit, path, digest
    FROM record
    WHERE unreadable IS NULL AND path = (
        SELECT other.path FROM record AS other
        WHERE other.run = record.run AND other.case_name = record.case_name
              AND other.repeat = record.repeat AND other.unreadable IS NULL
        ORDER BY other.is_copy, other.path LIMIT 1);
CREATE VIEW result_metric AS
    SELECT result.run, result.case_name, result.repeat, metric.name, metric.value, metric.unit
    FROM result JOIN metric ON metric.path = result.path
