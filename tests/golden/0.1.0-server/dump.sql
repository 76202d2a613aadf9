SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.ledger_only_append() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$ BEGIN IF NEW.position <> (SELECT COALESCE(MAX(position), 0) + 1 FROM ledger_events) THEN RAISE EXCEPTION 'ledger_events is append-only: INSERT out of order refused'; END IF; RETURN NEW; END $$;
ALTER FUNCTION public.ledger_only_append() OWNER TO house010_owner;
CREATE FUNCTION public.ledger_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only: ' || TG_OP || ' refused'; END $$;
ALTER FUNCTION public.ledger_refuse_change() OWNER TO house010_owner;
CREATE FUNCTION public.ledger_tell() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_temp'
    AS $$ BEGIN PERFORM pg_notify('backup_ledger', NEW.size::text); RETURN NULL; END $$;
ALTER FUNCTION public.ledger_tell() OWNER TO house010_owner;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.audit_trail (
    "position" bigint NOT NULL,
    "timestamp" timestamp without time zone NOT NULL,
    recorded_at bigint NOT NULL,
    event_id character varying(36) NOT NULL,
    event_type text NOT NULL,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    user_id bigint,
    resource_type text NOT NULL,
    resource_id text NOT NULL,
    action text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    success boolean NOT NULL,
    error_message text
);
ALTER TABLE public.audit_trail OWNER TO house010_appender;
CREATE TABLE public.backup_catalog (
    backup_id character varying(36) NOT NULL,
    filename text NOT NULL,
    store character varying(36) NOT NULL,
    source character varying(36),
    user_id bigint,
    run_id character varying(36),
    kind character varying(20) NOT NULL,
    size bigint NOT NULL,
    sha256 character varying(64) NOT NULL,
    status character varying(10) NOT NULL,
    is_protected boolean NOT NULL,
    holds json NOT NULL,
    shared_with character varying(36),
    created_at timestamp without time zone NOT NULL,
    verified_level character varying(10),
    verified_at timestamp without time zone,
    deleted_at timestamp without time zone,
    "position" bigint NOT NULL
);
ALTER TABLE public.backup_catalog OWNER TO house010_appender;
CREATE TABLE public.backup_runs (
    run_id character varying(36) NOT NULL,
    user_id bigint NOT NULL,
    slot timestamp without time zone NOT NULL,
    attempt integer NOT NULL,
    outcome character varying(10) NOT NULL,
    backup_id character varying(36),
    started_at timestamp without time zone NOT NULL,
    ended_at timestamp without time zone,
    duration_seconds double precision,
    error_type text,
    error_message text,
    "position" bigint NOT NULL
);
ALTER TABLE public.backup_runs OWNER TO house010_appender;
CREATE TABLE public.backup_settings (
    id integer NOT NULL,
    user_id bigint NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    frequency character varying(20) DEFAULT 'daily'::character varying NOT NULL,
    backup_time character varying(5) DEFAULT '03:00'::character varying NOT NULL,
    keep_count integer DEFAULT 7 NOT NULL,
    last_backup_at timestamp without time zone,
    next_backup_at timestamp without time zone,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    timezone character varying(64) DEFAULT 'UTC'::character varying NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    next_slot timestamp without time zone,
    next_attempt integer DEFAULT 1 NOT NULL,
    open_run_id character varying(36),
    stream_version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT ck_frequency CHECK (((frequency)::text = ANY ((ARRAY['daily'::character varying, 'weekly'::character varying, 'monthly'::character varying])::text[]))),
    CONSTRAINT ck_keep_count CHECK (((keep_count >= 1) AND (keep_count <= 30)))
);
ALTER TABLE public.backup_settings OWNER TO house010_appender;
CREATE SEQUENCE public.backup_settings_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.backup_settings_id_seq OWNER TO house010_appender;
ALTER SEQUENCE public.backup_settings_id_seq OWNED BY public.backup_settings.id;
CREATE TABLE public.ledger_checkpoints (
    id bigint NOT NULL,
    size bigint NOT NULL,
    note bytea NOT NULL,
    created_at bigint NOT NULL
);
ALTER TABLE public.ledger_checkpoints OWNER TO house010_owner;
CREATE SEQUENCE public.ledger_checkpoints_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_checkpoints_id_seq OWNER TO house010_owner;
ALTER SEQUENCE public.ledger_checkpoints_id_seq OWNED BY public.ledger_checkpoints.id;
CREATE TABLE public.ledger_events (
    "position" bigint NOT NULL,
    stream text NOT NULL COLLATE pg_catalog."C",
    stream_version bigint NOT NULL,
    event_type text NOT NULL,
    record bytea,
    leaf_hash bytea NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT ck_ledger_events_leaf_hash CHECK ((length(leaf_hash) = 32))
);
ALTER TABLE public.ledger_events OWNER TO house010_owner;
CREATE TABLE public.ledger_head (
    id smallint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    frontier bytea NOT NULL,
    recorded_at bigint NOT NULL,
    CONSTRAINT ledger_head_id_check CHECK ((id = 1))
);
ALTER TABLE public.ledger_head OWNER TO house010_owner;
CREATE TABLE public.ledger_leases (
    run_id text NOT NULL,
    owner text NOT NULL,
    expires_at bigint NOT NULL
);
ALTER TABLE public.ledger_leases OWNER TO house010_owner;
CREATE TABLE public.ledger_meta (
    ledger_id text NOT NULL,
    schema_version integer NOT NULL,
    created_at text NOT NULL
);
ALTER TABLE public.ledger_meta OWNER TO house010_owner;
CREATE TABLE public.ledger_names (
    store text NOT NULL,
    filename text NOT NULL,
    backup_id text NOT NULL
);
ALTER TABLE public.ledger_names OWNER TO house010_owner;
CREATE TABLE public.ledger_nodes (
    height smallint NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT ledger_nodes_hash_check CHECK ((length(hash) = 32))
);
ALTER TABLE public.ledger_nodes OWNER TO house010_owner;
CREATE TABLE public.ledger_projection_generations (
    name character varying(64) NOT NULL,
    state character varying(10) NOT NULL,
    version integer NOT NULL,
    ledger_id character varying(36) NOT NULL,
    "position" bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    has_rows boolean NOT NULL,
    problem text
);
ALTER TABLE public.ledger_projection_generations OWNER TO house010_appender;
CREATE TABLE public.ledger_projection_meta (
    id integer NOT NULL,
    schema_version integer NOT NULL,
    CONSTRAINT ledger_projection_meta_id_check CHECK ((id = 1))
);
ALTER TABLE public.ledger_projection_meta OWNER TO house010_appender;
CREATE TABLE public.ledger_projection_progress (
    name character varying(64) NOT NULL,
    version integer NOT NULL,
    ledger_id character varying(36) NOT NULL,
    "position" bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    has_rows boolean NOT NULL
);
ALTER TABLE public.ledger_projection_progress OWNER TO house010_appender;
CREATE TABLE public.ledger_snapshots (
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL
);
ALTER TABLE public.ledger_snapshots OWNER TO house010_owner;
ALTER TABLE ONLY public.backup_settings ALTER COLUMN id SET DEFAULT nextval('public.backup_settings_id_seq'::regclass);
ALTER TABLE ONLY public.ledger_checkpoints ALTER COLUMN id SET DEFAULT nextval('public.ledger_checkpoints_id_seq'::regclass);
INSERT INTO public.audit_trail VALUES (1, '2026-11-30 15:58:14.856487', 1796054294857139, 'aa92b914-9d35-4e6e-af79-a9669b7740d1', 'backup_scheduler.settings_created', 'schedule/1', 1, 1, 'backup_scheduler', '1', 'create', 'operator', 'root', true, NULL);
INSERT INTO public.audit_trail VALUES (2, '2026-11-30 15:58:16.531474', 1796054296532444, 'ae5e86e6-c8d7-4254-9516-b3f2b2fd7d83', 'ledger.source_registered', 'ledger', 1, NULL, 'ledger', 'ledger', 'register', 'operator', 'root', true, NULL);
INSERT INTO public.audit_trail VALUES (3, '2026-11-30 15:58:16.547944', 1796054296548450, 'f97a9466-612f-4235-a4f6-e2982db65a23', 'backup_catalog.backup_created', 'backup/11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 1, NULL, 'backup_catalog', '11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 'backup', 'operator', 'root', true, NULL);
INSERT INTO public.audit_trail VALUES (4, '2026-11-30 15:58:18.454677', 1796054298455901, '7e9279a5-8a9f-4116-97e0-fd54352f18b6', 'backup_catalog.hold_placed', 'backup/11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 2, NULL, 'backup_catalog', '11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 'hold', 'operator', 'root', true, NULL);
INSERT INTO public.backup_catalog VALUES ('11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 'one.db', '009f171c-d010-41f6-8924-2937f735ee79', '832287c8-aa00-4994-ba66-4f956f14e9fb', NULL, NULL, 'manual', 8192, 'da6329c742ecb54b2f94e121b932a8a7129f6e7365bae398864e130e2b0095c8', 'ok', false, '[{"hold_id": "3d389235-83dd-426c-8bf2-68f3b6cb7aec", "reason": "audit", "until": null}]', NULL, '2026-11-30 15:58:16.547944', 'integrity', '2026-11-30 15:58:16.547944', NULL, 3);
INSERT INTO public.backup_settings VALUES (1, 1, true, 'daily', '03:00', 3, NULL, '2026-12-01 03:00:00', '2026-11-30 15:58:14.856487', '2026-11-30 15:58:14.856487', 'UTC', false, 0, '2026-12-01 03:00:00', 1, NULL, 1);
INSERT INTO public.ledger_events VALUES (1, 'schedule/1', 1, 'backup_scheduler.settings_created', '\x7b22616374696f6e223a22637265617465222c226163746f72223a7b226964223a22726f6f74222c226b696e64223a226f70657261746f72227d2c22636175736174696f6e5f6964223a6e756c6c2c22636f7272656c6174696f6e5f6964223a2235643438356262622d653965652d343235662d386364332d326436393530616134666433222c2264657461696c73223a7b226261636b75705f74696d65223a2230333a3030222c22656e61626c6564223a747275652c226672657175656e6379223a226461696c79222c226b6565705f636f756e74223a332c226e6578745f6261636b75705f6174223a22323032362d31322d30315430333a30303a30302e3030303030305a222c2274696d657a6f6e65223a22555443227d2c226572726f725f6d657373616765223a6e756c6c2c226576656e745f6964223a2261613932623931342d396433352d346536652d616637392d613936363962373734306431222c226576656e745f74797065223a226261636b75705f7363686564756c65722e73657474696e67735f63726561746564222c227265736f757263655f6964223a2231222c227265736f757263655f74797065223a226261636b75705f7363686564756c6572222c22736368656d615f76657273696f6e223a312c2273747265616d223a227363686564756c652f31222c2273747265616d5f76657273696f6e223a312c2273756363657373223a747275652c2274696d657374616d70223a22323032362d31312d33305431353a35383a31342e3835363438375a222c22757365725f6964223a2231227d', '\x80abc5669495193b28f6afcdff181fe559e3095ab9b0d0befbe6ad407ae2a84d', 1796054294857139);
INSERT INTO public.ledger_events VALUES (2, 'ledger', 1, 'ledger.source_registered', '\x7b22616374696f6e223a227265676973746572222c226163746f72223a7b226964223a22726f6f74222c226b696e64223a226f70657261746f72227d2c22636175736174696f6e5f6964223a6e756c6c2c22636f7272656c6174696f6e5f6964223a2265643738393730342d333539342d343334382d623436312d616632613363363963663032222c2264657461696c73223a7b2270617468223a222f7372762f6170702f6170702e6462222c22736f75726365223a2238333232383763382d616130302d343939342d626136362d346639353666313465396662222c2273746f7265223a2230303966313731632d643031302d343166362d383932342d323933376637333565653739227d2c226572726f725f6d657373616765223a6e756c6c2c226576656e745f6964223a2261653565383665362d633864372d343235342d393531362d623366326232666437643833222c226576656e745f74797065223a226c65646765722e736f757263655f72656769737465726564222c227265736f757263655f6964223a226c6564676572222c227265736f757263655f74797065223a226c6564676572222c22736368656d615f76657273696f6e223a312c2273747265616d223a226c6564676572222c2273747265616d5f76657273696f6e223a312c2273756363657373223a747275652c2274696d657374616d70223a22323032362d31312d33305431353a35383a31362e3533313437345a222c22757365725f6964223a6e756c6c7d', '\xd88e0fff24f158f956b91269b242b895021567e4b2d724ea969d6feeef2b2383', 1796054296532444);
INSERT INTO public.ledger_events VALUES (3, 'backup/11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 1, 'backup_catalog.backup_created', '\x7b22616374696f6e223a226261636b7570222c226163746f72223a7b226964223a22726f6f74222c226b696e64223a226f70657261746f72227d2c22636175736174696f6e5f6964223a6e756c6c2c22636f7272656c6174696f6e5f6964223a2265643738393730342d333539342d343334382d623436312d616632613363363963663032222c2264657461696c73223a7b22656e67696e65223a226261636b75705f617069222c22656e67696e655f726561736f6e223a22736d616c6c206461746162617365222c2266696c656e616d65223a226f6e652e6462222c226b696e64223a226d616e75616c222c22726f775f636f756e74223a352c2272756e5f6964223a6e756c6c2c22736368656d615f66696e6765727072696e74223a2230323261393031363133346165313366396333353035373333623539613633343232613263646563373164643331323731353232333737333164626532383036222c22736861323536223a2264613633323963373432656362353462326639346531323162393332613861373132396636653733363562616533393838363465313330653262303039356338222c227368617265645f77697468223a6e756c6c2c2273697a65223a383139322c22736f75726365223a2238333232383763382d616130302d343939342d626136362d346639353666313465396662222c2273746f7265223a2230303966313731632d643031302d343166362d383932342d323933376637333565653739222c227461626c655f636f756e74223a312c227461626c6573223a5b7b226e616d65223a226361736573222c22726f7773223a357d5d2c227761726e696e6773223a5b5d7d2c226572726f725f6d657373616765223a6e756c6c2c226576656e745f6964223a2266393761393436362d363132662d343233352d613466362d653239383264623635613233222c226576656e745f74797065223a226261636b75705f636174616c6f672e6261636b75705f63726561746564222c227265736f757263655f6964223a2231316362396564332d343466342d346362332d393838372d303262626236393866326230222c227265736f757263655f74797065223a226261636b75705f636174616c6f67222c22736368656d615f76657273696f6e223a312c2273747265616d223a226261636b75702f31316362396564332d343466342d346362332d393838372d303262626236393866326230222c2273747265616d5f76657273696f6e223a312c2273756363657373223a747275652c2274696d657374616d70223a22323032362d31312d33305431353a35383a31362e3534373934345a222c22757365725f6964223a6e756c6c7d', '\xc4009f3a3d22bc918d51cc296e955d5a4d6b67f5be1cf606aa62ef50a176cff4', 1796054296548450);
INSERT INTO public.ledger_events VALUES (4, 'backup/11cb9ed3-44f4-4cb3-9887-02bbb698f2b0', 2, 'backup_catalog.hold_placed', '\x7b22616374696f6e223a22686f6c64222c226163746f72223a7b226964223a22726f6f74222c226b696e64223a226f70657261746f72227d2c22636175736174696f6e5f6964223a6e756c6c2c22636f7272656c6174696f6e5f6964223a2263366266396532392d396531392d343530622d623364302d346436633666373730643163222c2264657461696c73223a7b22686f6c645f6964223a2233643338393233352d383364642d343236632d386266322d363866336236636237616563222c22726561736f6e223a226175646974222c22756e74696c223a6e756c6c7d2c226572726f725f6d657373616765223a6e756c6c2c226576656e745f6964223a2237653932373961352d386139662d343131362d393765302d666435343335326631386236222c226576656e745f74797065223a226261636b75705f636174616c6f672e686f6c645f706c61636564222c227265736f757263655f6964223a2231316362396564332d343466342d346362332d393838372d303262626236393866326230222c227265736f757263655f74797065223a226261636b75705f636174616c6f67222c22736368656d615f76657273696f6e223a312c2273747265616d223a226261636b75702f31316362396564332d343466342d346362332d393838372d303262626236393866326230222c2273747265616d5f76657273696f6e223a322c2273756363657373223a747275652c2274696d657374616d70223a22323032362d31312d33305431353a35383a31382e3435343637375a222c22757365725f6964223a6e756c6c7d', '\x43621a6e9f0043ab418f55f5ff0158342d5ac39d38868aa8e115bd80eef8b26e', 1796054298455901);
INSERT INTO public.ledger_head VALUES (1, 4, '\xd353a0e5b2b96eed7ebbcf7eab4cbe6dbd7377c98aff27656b05f0161e0b144b', '\xd353a0e5b2b96eed7ebbcf7eab4cbe6dbd7377c98aff27656b05f0161e0b144b', 1796054298455901);
INSERT INTO public.ledger_meta VALUES ('5e9a0a4b-bfbe-46eb-9813-911a18777cb9', 1, '2026-11-30T15:58:12.926723Z');
INSERT INTO public.ledger_names VALUES ('009f171c-d010-41f6-8924-2937f735ee79', 'one.db', '11cb9ed3-44f4-4cb3-9887-02bbb698f2b0');
INSERT INTO public.ledger_projection_meta VALUES (1, 2);
INSERT INTO public.ledger_projection_progress VALUES ('backup_settings', 1, '5e9a0a4b-bfbe-46eb-9813-911a18777cb9', 4, '\x43621a6e9f0043ab418f55f5ff0158342d5ac39d38868aa8e115bd80eef8b26e', true);
INSERT INTO public.ledger_projection_progress VALUES ('backup_catalog', 1, '5e9a0a4b-bfbe-46eb-9813-911a18777cb9', 4, '\x43621a6e9f0043ab418f55f5ff0158342d5ac39d38868aa8e115bd80eef8b26e', true);
INSERT INTO public.ledger_projection_progress VALUES ('backup_runs', 1, '5e9a0a4b-bfbe-46eb-9813-911a18777cb9', 4, '\x43621a6e9f0043ab418f55f5ff0158342d5ac39d38868aa8e115bd80eef8b26e', false);
INSERT INTO public.ledger_projection_progress VALUES ('audit_trail', 1, '5e9a0a4b-bfbe-46eb-9813-911a18777cb9', 4, '\x43621a6e9f0043ab418f55f5ff0158342d5ac39d38868aa8e115bd80eef8b26e', true);
SELECT pg_catalog.setval('public.backup_settings_id_seq', 1, false);
SELECT pg_catalog.setval('public.ledger_checkpoints_id_seq', 1, false);
ALTER TABLE ONLY public.audit_trail
    ADD CONSTRAINT audit_trail_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.backup_catalog
    ADD CONSTRAINT backup_catalog_pkey PRIMARY KEY (backup_id);
ALTER TABLE ONLY public.backup_runs
    ADD CONSTRAINT backup_runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.backup_settings
    ADD CONSTRAINT backup_settings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.backup_settings
    ADD CONSTRAINT backup_settings_user_id_key UNIQUE (user_id);
ALTER TABLE ONLY public.ledger_checkpoints
    ADD CONSTRAINT ledger_checkpoints_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_events
    ADD CONSTRAINT ledger_events_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.ledger_head
    ADD CONSTRAINT ledger_head_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_leases
    ADD CONSTRAINT ledger_leases_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.ledger_meta
    ADD CONSTRAINT ledger_meta_pkey PRIMARY KEY (ledger_id);
ALTER TABLE ONLY public.ledger_names
    ADD CONSTRAINT ledger_names_pkey PRIMARY KEY (store, filename);
ALTER TABLE ONLY public.ledger_nodes
    ADD CONSTRAINT ledger_nodes_pkey PRIMARY KEY (height, number);
ALTER TABLE ONLY public.ledger_projection_generations
    ADD CONSTRAINT ledger_projection_generations_pkey PRIMARY KEY (name, state, version);
ALTER TABLE ONLY public.ledger_projection_meta
    ADD CONSTRAINT ledger_projection_meta_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_projection_progress
    ADD CONSTRAINT ledger_projection_progress_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.ledger_snapshots
    ADD CONSTRAINT ledger_snapshots_pkey PRIMARY KEY (stream, stream_version);
ALTER TABLE ONLY public.ledger_events
    ADD CONSTRAINT uq_ledger_events_stream UNIQUE (stream, stream_version);
CREATE INDEX idx_backup_settings_frequency ON public.backup_settings USING btree (frequency, next_backup_at);
CREATE INDEX idx_backup_settings_next_backup ON public.backup_settings USING btree (enabled, next_backup_at);
CREATE INDEX ix_audit_trail_failed ON public.audit_trail USING btree (success, "position");
CREATE INDEX ix_audit_trail_stream ON public.audit_trail USING btree (stream, stream_version);
CREATE INDEX ix_audit_trail_timestamp ON public.audit_trail USING btree ("timestamp");
CREATE INDEX ix_audit_trail_type ON public.audit_trail USING btree (event_type, "position");
CREATE INDEX ix_audit_trail_user ON public.audit_trail USING btree (user_id, "position");
CREATE INDEX ix_backup_catalog_name ON public.backup_catalog USING btree (store, filename);
CREATE INDEX ix_backup_catalog_owner ON public.backup_catalog USING btree (user_id, status);
CREATE INDEX ix_backup_catalog_run ON public.backup_catalog USING btree (run_id);
CREATE INDEX ix_backup_catalog_shared ON public.backup_catalog USING btree (shared_with);
CREATE INDEX ix_backup_catalog_source ON public.backup_catalog USING btree (source, "position");
CREATE INDEX ix_backup_catalog_status ON public.backup_catalog USING btree (status, created_at);
CREATE INDEX ix_backup_runs_outcome ON public.backup_runs USING btree (outcome);
CREATE INDEX ix_backup_runs_user ON public.backup_runs USING btree (user_id, "position");
CREATE INDEX ix_ledger_checkpoints_size ON public.ledger_checkpoints USING btree (size);
CREATE INDEX ix_ledger_events_recorded_at ON public.ledger_events USING btree (recorded_at);
CREATE TRIGGER ledger_events_no_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_events FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE TRIGGER ledger_events_only_append BEFORE INSERT ON public.ledger_events FOR EACH ROW EXECUTE FUNCTION public.ledger_only_append();
CREATE TRIGGER ledger_head_tells AFTER UPDATE ON public.ledger_head FOR EACH ROW EXECUTE FUNCTION public.ledger_tell();
GRANT ALL ON SCHEMA public TO house010_owner;
GRANT ALL ON SCHEMA public TO house010_appender;
GRANT USAGE ON SCHEMA public TO house010_auditor;
GRANT SELECT ON TABLE public.audit_trail TO house010_auditor;
GRANT SELECT ON TABLE public.backup_catalog TO house010_auditor;
GRANT SELECT ON TABLE public.backup_runs TO house010_auditor;
GRANT SELECT ON TABLE public.backup_settings TO house010_auditor;
GRANT SELECT,INSERT ON TABLE public.ledger_checkpoints TO house010_appender;
GRANT SELECT ON TABLE public.ledger_checkpoints TO house010_auditor;
GRANT USAGE ON SEQUENCE public.ledger_checkpoints_id_seq TO house010_appender;
GRANT SELECT,INSERT ON TABLE public.ledger_events TO house010_appender;
GRANT SELECT ON TABLE public.ledger_events TO house010_auditor;
GRANT SELECT,UPDATE ON TABLE public.ledger_head TO house010_appender;
GRANT SELECT ON TABLE public.ledger_head TO house010_auditor;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ledger_leases TO house010_appender;
GRANT SELECT ON TABLE public.ledger_leases TO house010_auditor;
GRANT SELECT ON TABLE public.ledger_meta TO house010_appender;
GRANT SELECT ON TABLE public.ledger_meta TO house010_auditor;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ledger_names TO house010_appender;
GRANT SELECT ON TABLE public.ledger_names TO house010_auditor;
GRANT SELECT,INSERT ON TABLE public.ledger_nodes TO house010_appender;
GRANT SELECT ON TABLE public.ledger_nodes TO house010_auditor;
GRANT SELECT ON TABLE public.ledger_projection_generations TO house010_auditor;
GRANT SELECT ON TABLE public.ledger_projection_meta TO house010_auditor;
GRANT SELECT ON TABLE public.ledger_projection_progress TO house010_auditor;
GRANT SELECT,INSERT,DELETE ON TABLE public.ledger_snapshots TO house010_appender;
GRANT SELECT ON TABLE public.ledger_snapshots TO house010_auditor;
ALTER DEFAULT PRIVILEGES FOR ROLE house010_appender IN SCHEMA public GRANT SELECT ON TABLES TO house010_auditor;
