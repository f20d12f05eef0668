-- What belongs to an order or a payment, in the order in which it is read: without the id at its end an index was passed
-- over for the one that has all of a merchant's rows in that order.

DROP INDEX payments_by_order;
CREATE INDEX payments_by_order ON payments (merchant_id, order_id, id);
DROP INDEX payments_by_provider_ref;
CREATE INDEX payments_by_provider_ref ON payments (merchant_id, account_id, provider_ref, id);
DROP INDEX refunds_by_payment;
CREATE INDEX refunds_by_payment ON refunds (merchant_id, payment_id, id);
DROP INDEX refunds_by_order;
CREATE INDEX refunds_by_order ON refunds (merchant_id, order_id, id);
DROP INDEX refunds_by_provider_ref;
CREATE INDEX refunds_by_provider_ref ON refunds (merchant_id, account_id, provider_ref, id);
DROP INDEX disputes_by_payment;
CREATE INDEX disputes_by_payment ON disputes (merchant_id, payment_id, id);
CREATE INDEX disputes_by_order ON disputes (merchant_id, order_id, id);
