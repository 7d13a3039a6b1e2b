/* Protocol Buffers' wire format: see protobuf.h. */

#include "telemetry/protobuf.h"

void tn__pb_add_head(tn__buf *out, unsigned field, size_t n)
{
    tn__buf_reserve(out, TN__PB_TAG_BYTES_MAX + TN__PB_VARINT_BYTES_MAX);
    out->len = (size_t)(tn__pb_head(out->data + out->len, field, n) - out->data);
}

void tn__pb_add(tn__buf *out, unsigned field, tn_str bytes)
{
    tn__pb_add_head(out, field, bytes.len);
    tn__buf_add_str(out, bytes);
}

static bool read_varint(tn_str *rest, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        unsigned char byte = (unsigned char)*rest->data;
        rest->data++;
        rest->len--;
        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool cut(tn_str *rest, size_t n, tn_str *part)
{
    if (rest->len < n)
        return false;
    *part = (tn_str){ rest->data, n };
    rest->data += n;
    rest->len -= n;
    return true;
}

static bool read_fixed(tn_str *rest, size_t n, uint64_t *v)
{
    tn_str bytes;
    uint64_t little = 0;
    if (!cut(rest, n, &bytes))
        return false;
    memcpy(&little, bytes.data, n);
    *v = le64toh(little);
    return true;
}

bool tn__pb_read(tn_str *rest, tn__pb_field *field)
{
    uint64_t tag, n;
    *field = (tn__pb_field){ 0 };
    if (!read_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return false;
    field->field = (unsigned)(tag >> 3);
    field->wire = (tn__pb_wire)(tag & 7);
    switch (field->wire) {
    case TN__PB_VARINT:
        return read_varint(rest, &field->number);
    case TN__PB_FIXED64:
        return read_fixed(rest, 8, &field->number);
    case TN__PB_FIXED32:
        return read_fixed(rest, 4, &field->number);
    case TN__PB_LEN:
        return read_varint(rest, &n) && cut(rest, n, &field->bytes);
    }
    return false; /* The deprecated groups. */
}
