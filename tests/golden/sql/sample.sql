-- Schema of the tide tables.
-- Applied by hand, once a year.

BEGIN;
SET search_path = tides;

-- A port and its gauge.
CREATE TABLE IF NOT EXISTS tides."ports" (
    id          bigint PRIMARY KEY,
    name        text NOT NULL DEFAULT 'no; name',  -- a semicolon in a string
    latitude    double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude   double precision NOT NULL
);

CREATE INDEX ports_name ON tides.ports (name);

CREATE OR REPLACE FUNCTION tides.next_high(port bigint, after timestamptz)
RETURNS timestamptz LANGUAGE plpgsql AS $body$
DECLARE found timestamptz;
BEGIN
    SELECT min(at) INTO found FROM tides.high_waters WHERE port_id = port AND at > after;

    IF found IS NULL THEN RAISE EXCEPTION 'no table; compute next year'; END IF;
    RETURN found;
END;
$body$;

CREATE TRIGGER ports_changed AFTER UPDATE ON tides.ports
BEGIN
    UPDATE tides.stale SET since = CASE WHEN since IS NULL THEN now() ELSE since END WHERE port_id = new.id;
    INSERT INTO tides.log VALUES (new.id, 'changed', '; not the end');
    DELETE FROM tides.high_waters WHERE port_id = new.id;
END;

/* Rows for a start; more come from the gauges. */
INSERT INTO tides.ports (id, name, latitude, longitude) VALUES
    (1, 'Aberdeen', 57.14, -2.08),
    (2, 'Dover (Eastern; Docks)', 51.12, 1.32),
    (3, 'Harwich', 51.95, 1.29),
    (4, 'St Mary''s', 49.92, -6.32);

COPY tides.high_waters (port_id, at, height) FROM stdin;
1	2031-01-01 04:12:00+00	4.1
2	2031-01-01 11:03:00+00	6.6
3	it's a quote; not a string	3.9
4	2031-01-01 04:58:00+00	5.6
4	2031-01-01 17:20:00+00	5.4
\.

SELECT p.name, count(*) FROM tides.ports p JOIN tides.high_waters h ON h.port_id = p.id GROUP BY p.name;
COMMIT;
