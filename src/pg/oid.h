/* The object ids of PostgreSQL's built-in types, which are fixed for all time (pg_type.dat). Ids from
 * TN__OID_FIRST_USER on belong to types that a database made for itself. */
#pragma once

enum {
    TN__OID_BOOL = 16,
    TN__OID_NAME = 19,
    TN__OID_INT8 = 20,
    TN__OID_INT2 = 21,
    TN__OID_INT4 = 23,
    TN__OID_TEXT = 25,
    TN__OID_JSON = 114,
    TN__OID_FLOAT4 = 700,
    TN__OID_FLOAT8 = 701,
    TN__OID_BPCHAR = 1042,
    TN__OID_VARCHAR = 1043,
    TN__OID_TIMESTAMPTZ = 1184,
    TN__OID_UUID = 2950,
    TN__OID_JSONB = 3802,

    TN__OID_BOOL_ARRAY = 1000,
    TN__OID_TEXT_ARRAY = 1009,
    TN__OID_INT8_ARRAY = 1016,
    TN__OID_FLOAT8_ARRAY = 1022,
    TN__OID_TIMESTAMPTZ_ARRAY = 1185,
    TN__OID_UUID_ARRAY = 2951,

    TN__OID_FIRST_USER = 16384,
};
