CREATE TABLE items (
    id uuid PRIMARY KEY, -- UUIDv7: newest last
    sku text NOT NULL CONSTRAINT items_sku_key UNIQUE,
    name text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    description text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
