BEGIN TRANSACTION;
CREATE TABLE api_keys (
	id TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	revoked_at DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "api_keys" VALUES('a','00','first',5.0,NULL);
CREATE TABLE chunks (
	task_id VARCHAR(36) NOT NULL, 
	number INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	"end" INTEGER NOT NULL, 
	first_row INTEGER NOT NULL, 
	first_line INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	worker TEXT, 
	not_before DOUBLE NOT NULL, 
	error TEXT, 
	read INTEGER NOT NULL, 
	upserted INTEGER NOT NULL, 
	unchanged INTEGER NOT NULL, 
	filtered INTEGER NOT NULL, 
	duplicate INTEGER NOT NULL, 
	rejected INTEGER NOT NULL, 
	warnings INTEGER NOT NULL, 
	passages INTEGER NOT NULL, 
	tokens INTEGER NOT NULL, 
	embedded INTEGER NOT NULL, 
	manifest TEXT, 
	rejected_file TEXT, 
	PRIMARY KEY (task_id, number), 
	FOREIGN KEY(task_id) REFERENCES tasks (id)
);
INSERT INTO "chunks" VALUES('2c20b5f5-723c-49ad-9afc-b86ce8f8732a',1,100,200,11,12,10,'ready',0,0,0,NULL,0.0,NULL,0,0,0,0,0,0,0,0,0,0,NULL,NULL);
INSERT INTO "chunks" VALUES('2c20b5f5-723c-49ad-9afc-b86ce8f8732a',0,0,100,1,2,10,'done',0,0,1,NULL,0.0,NULL,10,6,0,3,0,1,2,8,50,6,'m','r');
CREATE TABLE namespaces (
	name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	dimension INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "namespaces" VALUES('default','hash',4);
CREATE TABLE tasks (
	position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(36) NOT NULL, 
	idempotency_key TEXT, 
	fingerprint VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	parent_id VARCHAR(36), 
	state VARCHAR(16) NOT NULL, 
	hold VARCHAR(16) NOT NULL, 
	seen VARCHAR(16) NOT NULL, 
	reason TEXT, 
	error TEXT, 
	read INTEGER NOT NULL, 
	upserted INTEGER NOT NULL, 
	unchanged INTEGER NOT NULL, 
	filtered INTEGER NOT NULL, 
	duplicate INTEGER NOT NULL, 
	rejected INTEGER NOT NULL, 
	warnings INTEGER NOT NULL, 
	passages INTEGER NOT NULL, 
	tokens INTEGER NOT NULL, 
	embedded INTEGER NOT NULL, 
	planned BOOLEAN NOT NULL, 
	rows_planned INTEGER NOT NULL, 
	blank_lines INTEGER NOT NULL, 
	chunks_total INTEGER NOT NULL, 
	chunks_done INTEGER NOT NULL, 
	chunks_failed INTEGER NOT NULL, 
	rows_failed INTEGER NOT NULL, 
	created_at DOUBLE NOT NULL, 
	started_at DOUBLE, 
	planned_at DOUBLE, 
	completed_at DOUBLE, 
	attempts INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	worker TEXT, 
	not_before DOUBLE NOT NULL, 
	version INTEGER NOT NULL, 
	UNIQUE (id), 
	UNIQUE (idempotency_key)
);
INSERT INTO "tasks" VALUES(1,'2c20b5f5-723c-49ad-9afc-b86ce8f8732a',NULL,'fac7d0370416b73311f0bdb31ed38aacc725d8ba2ed32cda7606b745947253f5','{"source":{"kind":"local","ref":"a.csv","version":"v1","size":1000},"header":["id","text"],"data_start":8,"data_line":2,"dialect":{"delimiter":",","encoding":"utf-8","compression":""},"chunk_size":10,"max_record_bytes":1000,"namespace":"default","embedder":"memory","model":"hash","dimension":4,"id_column":null,"id_prefix":"","text_columns":[],"text_template":null,"metadata_columns":[],"types":{"id":"string","text":"string"},"date_column":null,"start_date":null,"end_date":null,"date_format":null,"parent_id":null}',NULL,'processing','','processing',NULL,NULL,10,6,0,3,0,1,2,8,50,6,1,20,3,2,1,0,0,1000.0,1000.0,1000.0,NULL,0,0,1,NULL,0.0,4);
CREATE TABLE workers (
	id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	pid_started DOUBLE NOT NULL, 
	slots INTEGER NOT NULL, 
	holding INTEGER NOT NULL, 
	beat_at DOUBLE NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "workers" VALUES('w','host',1,1.0,4,0,1000.0);
CREATE INDEX tasks_by_fingerprint ON tasks (fingerprint);
CREATE INDEX tasks_by_parent ON tasks (parent_id);
CREATE INDEX tasks_by_seen ON tasks (seen, position);
CREATE INDEX tasks_by_worker ON tasks (worker) WHERE worker IS NOT NULL;
CREATE INDEX chunks_by_worker ON chunks (worker) WHERE worker IS NOT NULL;
CREATE INDEX chunks_by_state ON chunks (task_id, state, number);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',1);
COMMIT;
